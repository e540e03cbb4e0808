"""Arithmetic that several stages share: the DCT in all its forms, and the C99 core."""
