"""Declares the compiled core; everything else about the package is in pyproject.toml."""

from setuptools import setup

setup(cffi_modules=["kernels/build_native.py:ffibuilder"])
