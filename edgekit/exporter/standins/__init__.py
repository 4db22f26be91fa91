"""What stands in for code of Keras that no graph can hold, while a model is traced."""
