"""block8, the flagship: an encoder for flight computers, a stream for lossy downlinks."""
