"""The reference's own modules, imported from checkouts that the user names; nothing of them is copied here.

SAM2UNET_REFERENCE is a checkout of WZH0120/SAM2-UNet, SAM2_REFERENCE one of facebookresearch/sam2; docs/golden.md
names the commits. Hydra, which the reference builds its trunk with, is not needed: `build_sam2` is replaced by one
that makes the trunk from numbers.
"""

import ast
import importlib
import json
import os
import sys
import types
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

import deterministic

# What the reference's SAM2UNet.__init__ deletes from the SAM2 model it is given.
_DELETED_PARTS = (
    "sam_mask_decoder",
    "sam_prompt_encoder",
    "memory_encoder",
    "memory_attention",
    "mask_downsample",
    "obj_ptr_tpos_proj",
    "obj_ptr_proj",
)


@dataclass(frozen=True)
class Config:
    """A network. `trunk` are arguments of the reference's Hiera; what is missing has Hiera's own default."""

    variant: str
    trunk: dict
    widths: dict = field(default_factory=dict)  # any of out_channels, adapter_width, decoder_width; of forks: neck, up4

    def to_json(self) -> str:
        return json.dumps({**self.trunk, **self.widths})

    def width(self, key: str) -> int:
        return self.widths.get(key, {"out_channels": 1, "adapter_width": 32, "decoder_width": 64}[key])


# sam2/configs/sam2/sam2_hiera_{t,s,b+,l}.yaml; `nano` is a small network with every kind of block in it.
TRUNKS = {
    "t": {
        "embed_dim": 96,
        "num_heads": 1,
        "stages": [1, 2, 7, 2],
        "global_att_blocks": [5, 7, 9],
        "window_pos_embed_bkg_spatial_size": [7, 7],
    },
    "s": {
        "embed_dim": 96,
        "num_heads": 1,
        "stages": [1, 2, 11, 2],
        "global_att_blocks": [7, 10, 13],
        "window_pos_embed_bkg_spatial_size": [7, 7],
    },
    "b+": {"embed_dim": 112, "num_heads": 2},
    "l": {
        "embed_dim": 144,
        "num_heads": 2,
        "stages": [2, 6, 36, 4],
        "global_att_blocks": [23, 33, 43],
        "window_pos_embed_bkg_spatial_size": [7, 7],
        "window_spec": [8, 4, 16, 8],
    },
    "nano": {
        "embed_dim": 16,
        "num_heads": 1,
        "stages": [1, 1, 3, 2],
        "global_att_blocks": [3],
        "window_pos_embed_bkg_spatial_size": [7, 7],
        "window_spec": [8, 4, 16, 8],
    },
}


def config(variant: str, **widths: int | str | bool) -> Config:
    return Config(variant, TRUNKS[variant], widths)


def checkout(variable: str, needed: str) -> Path:
    """The folder that an environment variable names; ends the program where it is not one."""
    folder = Path(os.environ.get(variable, ""))
    if not os.environ.get(variable) or not (folder / needed).is_file():
        sys.exit(f"{variable} must name a checkout that holds {needed}; see docs/golden.md")
    return folder.resolve()


def _add_module(name: str, **members: object) -> types.ModuleType:
    module = types.ModuleType(name)
    vars(module).update(members)
    sys.modules[name] = module
    return module


def _forward_through_up4(model: nn.Module, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of forks that call the fourth Up, which the reference makes and leaves: no stage is as large as what it makes, so
    that the first one's skip is enlarged to be joined there, and the head's map is enlarged by two instead of four."""

    def enlarged(x: torch.Tensor, by: int) -> torch.Tensor:
        return F.interpolate(x, scale_factor=by, mode="bilinear")

    skips = [getattr(model, f"rfb{k}")(stage) for k, stage in enumerate(model.encoder(image), start=1)]
    deep = model.up1(skips[3], skips[2])
    out1 = enlarged(model.side1(deep), 16)
    deep = model.up2(deep, skips[1])
    out2 = enlarged(model.side2(deep), 8)
    deep = model.up3(deep, skips[0])
    deep = model.up4(deep, F.interpolate(skips[0], scale_factor=2, mode="bilinear", align_corners=True))
    return enlarged(model.head(deep), 2), out1, out2


class Reference:
    """Both checkouts, imported once."""

    def __init__(self) -> None:
        self._unet_folder = checkout("SAM2UNET_REFERENCE", "SAM2UNet.py")
        sam2 = checkout("SAM2_REFERENCE", "sam2/modeling/backbones/hieradet.py")
        # The package without its __init__, which starts Hydra; and nothing is read from paths.
        _add_module("sam2", __path__=[str(sam2 / "sam2")])
        for name in ("iopath", "iopath.common", "iopath.common.file_io"):
            _add_module(name, __path__=[], g_pathmgr=None)
        self._hiera = importlib.import_module("sam2.modeling.backbones.hieradet").Hiera
        _add_module("sam2.build_sam", build_sam2=self._build_sam2)
        self._trunk: dict = {}
        sys.path.insert(0, str(self._unet_folder))
        self._unet = importlib.import_module("SAM2UNet")

    def _build_sam2(self, _config_file: str, _checkpoint: str | None = None) -> nn.Module:
        model = nn.Module()
        for name in _DELETED_PARTS:
            setattr(model, name, nn.Identity())
        model.image_encoder = nn.Module()
        model.image_encoder.neck = nn.Identity()
        model.image_encoder.trunk = self._hiera(**self._trunk)
        return model

    def network(self, conf: Config) -> nn.Module:
        """The reference's network, its L decoder replaced by the same modules with the numbers of `conf`."""
        self._trunk = conf.trunk
        model = self._unet.SAM2UNet()
        width = conf.width("decoder_width")
        dims = [conf.trunk["embed_dim"] * 2**k for k in range(4)]
        for k, dim in enumerate(dims, start=1):
            is_plain = conf.widths.get("neck") == "1x1"
            neck = nn.Conv2d(dim, width, kernel_size=1) if is_plain else self._unet.RFB_modified(dim, width)
            setattr(model, f"rfb{k}", neck)
            setattr(model, f"up{k}", self._unet.Up(2 * width, width))
        for name in ("side1", "side2", "head"):
            setattr(model, name, nn.Conv2d(width, conf.width("out_channels"), kernel_size=1))
        if conf.widths.get("up4"):
            model.forward = types.MethodType(_forward_through_up4, model)
        narrow = conf.width("adapter_width")
        if narrow != 32:  # SAM2UNet.py: class Adapter
            for adapter in model.encoder.blocks:
                dim = adapter.block.attn.qkv.in_features
                layers = nn.Linear(dim, narrow), nn.GELU(), nn.Linear(narrow, dim), nn.GELU()
                adapter.prompt_learn = nn.Sequential(*layers)
        return model

    def deterministic_network(self, conf: Config) -> nn.Module:
        """The same in float64, every tensor of its state_dict a function of the tensor's name."""
        model = self.network(conf)
        values = {
            name: torch.from_numpy(deterministic.parameter(name, tuple(tensor.shape)))
            for name, tensor in model.state_dict().items()
        }
        model.load_state_dict(values, strict=True)
        return model.double()

    def structure_loss(self) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
        """The function of train.py, which cannot be imported: it parses arguments and wants a GPU."""
        path = self._unet_folder / "train.py"
        found = [
            node
            for node in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(node, ast.FunctionDef) and node.name == "structure_loss"
        ]
        if len(found) != 1:
            sys.exit(f"{path}: no function structure_loss at its top level")
        names: dict = {"torch": torch, "F": F}
        exec(compile(ast.Module(body=found, type_ignores=[]), str(path), "exec"), names)  # the user's own checkout
        warnings.filterwarnings("ignore", message="size_average and reduce args will be deprecated")
        return names["structure_loss"]

    def test_transform(self, size: int) -> Callable:
        """What test.py does to a picture: dataset.py's TestDataset, made of an empty folder."""
        dataset = importlib.import_module("dataset")
        empty = dataset.TestDataset.__new__(dataset.TestDataset)
        listdir, dataset.os.listdir = dataset.os.listdir, lambda _folder: []
        try:
            empty.__init__("", "", size)
        finally:
            dataset.os.listdir = listdir
        return empty.transform
