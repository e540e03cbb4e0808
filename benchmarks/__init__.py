"""Comparisons with other codecs: metrics, anchors, measurements and pictures."""
