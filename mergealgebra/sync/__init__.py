"""How replicas exchange what they hold, each side checking everything it takes."""
