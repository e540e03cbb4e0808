"""Calibration: integers and ranges measured on real images, frozen into bundles."""
