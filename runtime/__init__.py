"""What runs on the device, without torch: bundles, streams, codecs, backends.

encode: picture -> planes -> analysis session -> latents -> symbols -> packets -> stream
decode: stream -> packets -> symbols -> latents -> synthesis session -> planes -> picture
"""
