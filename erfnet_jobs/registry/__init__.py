"""The registry: SQLAlchemy tables, and the questions asked of them."""
