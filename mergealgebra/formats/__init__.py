"""Other people's files and addresses, turned into our recipes, views and forms; nothing behind knows of them."""
