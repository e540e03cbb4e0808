"""Where the time goes: stages, engines and their layers.

stages       marks in the codecs, and the watch that adds them up
frames       what is coded: sizes by name, pictures made to fit
measure      the loop: warm-up, then every frame timed
statistics   percentiles and jitter of samples
tree         /sys and /proc, or a recording of them
sensors      power, clocks, temperatures and throttling of this machine, polled beside the loop
machine      what this machine is: processor, GPU, power mode, versions
memory       of the process and on the device
layers       time of each layer of a network
report       all of it, as JSON and CSV
plot         all of it, drawn
"""
