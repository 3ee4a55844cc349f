"""The probes of Infertune: each measures one thing on a node and says it in one envelope."""
