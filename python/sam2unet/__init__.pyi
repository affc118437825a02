from sam2unet import metrics as metrics
from sam2unet import weights as weights
from sam2unet._library import Error as Error
from sam2unet._library import FileError as FileError
from sam2unet._library import FormatError as FormatError
from sam2unet._library import ImageError as ImageError
from sam2unet._library import UnavailableError as UnavailableError
from sam2unet._library import WeightsError as WeightsError
from sam2unet.datasets import doctor as doctor
from sam2unet.pictures import resize_pillow as resize_pillow
from sam2unet.segmenter import Region as Region
from sam2unet.segmenter import Segmentation as Segmentation
from sam2unet.segmenter import Segmenter as Segmenter

__version__: str
