"""Other people's files, at the edge: turned into our recipes, views and forms; nothing below knows of them."""
