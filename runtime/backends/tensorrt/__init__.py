"""TensorRT: one path for versions 10.3 to 11, shared with TensorRT for RTX.

backend
|-- library.py   the one place that imports the library
|-- probe.py     does it work here?
|-- load.py      engine of the cache to session
|-- session.py   many threads, one engine
|-- slot.py      one thread: contexts, stream, memory
|-- graphs.py    one thread: CUDA graphs of shapes that come again
|-- contexts.py  makes contexts; RTX: kernels compiled as the engine runs, kept in a file
|-- ports.py     inputs and outputs by name
`-- inspect.py   what an engine is made of
"""
