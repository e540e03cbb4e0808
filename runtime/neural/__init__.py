"""The neural codecs (fera, aara, mrdcae, mfca): networks run in windows, and an integer context coder."""
