"""What the doors for TensorFlow's files share. TensorFlow itself is never imported."""
