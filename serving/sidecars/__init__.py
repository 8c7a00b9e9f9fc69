"""XMP sidecars: tags beside images, as photo software reads them."""
