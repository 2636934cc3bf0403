"""Results as they show themselves in notebooks: HTML that needs nothing beside it, and a widget."""
