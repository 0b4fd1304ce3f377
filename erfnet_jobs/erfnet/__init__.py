"""ERFNet and its work: data, network, training, evaluation, export and inference."""
