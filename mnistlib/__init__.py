"""The work behind the six notebooks. A folder imports only folders that stand above it here.

core: files, errors, settings, log
imaging: ink on paper to the 28×28 picture that MNIST's makers would have made of it
runs: a run's folder, and what is true of it
data: datasets, obtained, checked, split, augmented, synthesized
training: the network and how it learns
evaluation: how good it is, and how far to trust it
inference: what people give it: strokes, pictures, pages
reporting: pages and figures that people read
pipeline: what make calls
"""
