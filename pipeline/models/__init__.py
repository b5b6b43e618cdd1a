"""The network: layers, backbones, temporal layers, and the recognizer they make up."""
