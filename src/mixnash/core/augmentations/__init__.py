"""Random changes of images that let gradients through; one file per augmentation."""
