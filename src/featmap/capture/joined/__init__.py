"""Networks that join several images along the batch, with operator calls for each image separately."""
