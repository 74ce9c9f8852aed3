"""Ink on paper → the 28×28 picture that MNIST's makers would have made of it."""
