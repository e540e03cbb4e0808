"""What the papers of the four neural codecs claim on Kodak's pictures, to be printed beside what ours reach."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """One point of a paper.

    Attributes:
        codec: Ours, of that paper.
        picture: Its file's name, or "" for a mean over all of Kodak.
        bpp: Bits a pixel.
        psnr: dB.
        note: What else the paper says of the point.
    """

    codec: str
    picture: str
    bpp: float
    psnr: float
    note: str = ""


CLAIMS = (
    Claim("fera", "kodim23", 24 / 44.26, 42.38, "44.26:1, MS-SSIM 0.999"),
    Claim("fera", "kodim09", 1.12, 46.2),
    Claim("fera", "kodim19", 0.75, 43.4),
    Claim("fera", "kodim06", 0.76, 41.34),
    Claim("fera", "kodim14", 0.74, 43.33),
    Claim("fera", "kodim12", 0.72, 42.81),
    Claim("fera", "kodim24", 0.24, 42.99),
    Claim("aara", "", 0.31, 32.7, "MS-SSIM 0.942; Kodak and CLIC together"),
    Claim("mrdcae", "", 24 / 42, 34.85, "up to 42:1, SSIM 0.942"),
)
"""From the texts in the papers; mfca's gives no number for Kodak but "above JPEG and JPEG 2000 at the same rate"."""
