"""`pq demo`: one price's way through the whole product, hop by hop."""
