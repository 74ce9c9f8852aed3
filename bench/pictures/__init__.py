"""Pictures to measure with: rendered pen drawings, cut MNIST digits, real ones; and other programs that read them."""
