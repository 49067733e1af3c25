"""Other people's files and addresses, at the edge: turned into our recipes, views and forms; nothing behind knows of them."""
