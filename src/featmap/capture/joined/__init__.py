"""Networks that join several images along the batch: each image's operator calls, apart."""
