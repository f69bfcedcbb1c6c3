"""What `facestream doctor` looks at, and how every part of the product adds to it."""
