"""From ink on paper to 28×28 pixels, as MNIST's makers framed their digits."""
