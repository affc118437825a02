"""``python -m sam2unet``: the program."""
from sam2unet._program import main

main()
