// Package main is CoreDNS with nothing but what resolves names in a cluster.
//
// The list of plugins decides what is built: the usual CoreDNS carries clients of
// several clouds, which take minutes to build and are never asked here.
package main

import (
	_ "github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
)

func main() { coremain.Run() }
