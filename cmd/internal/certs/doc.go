// Package certs makes and uses the certificates of a cluster.
//
// An operator keeps one directory with the cluster's own authority (Init) and issues
// from it a directory for each node and each person (Issue), which is copied to where
// it is used and named there with --tls-dir:
//
//	authority   ca.crt  ca.key  gossip.key
//	a node's    ca.crt  node.crt    node.key    gossip.key
//	a caller's  ca.crt  client.crt  client.key
//
// What a holder may do stands in the certificate, see wire.CertRoles. A node's
// certificate names the node and the hosts at which it is reached. Load reads such a
// directory and gives the TLS configurations of each side; files that change are read
// again, so that certificates are renewed without a restart.
package certs
