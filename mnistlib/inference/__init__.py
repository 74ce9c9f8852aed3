"""What people give it: strokes, pictures and pages."""
