"""CUDA kernels, compiled when they are first used."""
