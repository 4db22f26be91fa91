"""Tests of edgekit.quantizer."""
