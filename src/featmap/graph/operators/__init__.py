"""One class per kind of operator: what it reads, costs and does to shapes; `table` names them."""
