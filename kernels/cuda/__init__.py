"""block8's transform on NVIDIA GPUs, for frames that are there already; compiled when it is first used.

transform.cuh           the lapped transform on one thread's samples; tiles in shared memory
analysis.cu             pixels -> coefficients, as the C core's `store_rows` makes them
synthesis.cu            coefficients -> pixels
compile.py, device.py   NVRTC; which GPU, and what is wrong if there is none
arrays.py               device arrays of others in, by DLPack or `__cuda_array_interface__`, and own ones out
block8.py               `Analysis` and `Synthesis`
"""
