"""One kind of answer each, as a picture."""
