// SPDX-License-Identifier: Apache-2.0

// VMware's own simulator of a vCenter or an ESXi host, as Debian packages it, behind a command line for the tests.
//
// It prints one line of JSON once it listens, and runs until its standard input is closed, so that it never outlives
// the test that started it. Machines and datastores with real bytes are made by the tests, over the interface itself.
package main

import (
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"log"
	"net/url"
	"os"

	"github.com/vmware/govmomi/simulator"
	_ "github.com/vmware/govmomi/vapi/simulator"
)

type settings struct {
	flavour, user, password, keyPair string
	machines, hosts, folders, apps   int
}

func model(given settings) *simulator.Model {
	made := simulator.VPX()
	if given.flavour == "esx" {
		made = simulator.ESX()
	} else {
		made.ClusterHost = given.hosts
		made.Folder = given.folders
		made.App = given.apps
		made.Pool = 1
		made.PortgroupNSX = 1
		made.OpaqueNetwork = 1
	}
	made.Machine = given.machines
	return made
}

func main() {
	var given settings
	flag.StringVar(&given.flavour, "flavour", "vcenter", "vcenter or esx")
	flag.StringVar(&given.user, "user", "administrator@vsphere.local", "the only user who may log in")
	flag.StringVar(&given.password, "password", "secret", "and the password")
	flag.StringVar(&given.keyPair, "tls", "", "PEM file with certificate and key; without it a built-in one is shown")
	flag.IntVar(&given.machines, "machines", 2, "machines per resource pool")
	flag.IntVar(&given.hosts, "hosts", 3, "hosts of the cluster")
	flag.IntVar(&given.folders, "folders", 0, "datacenters that lie in folders")
	flag.IntVar(&given.apps, "apps", 0, "vApps")
	flag.Parse()
	log.SetOutput(os.Stderr)

	made := model(given)
	if err := made.Create(); err != nil {
		log.Fatal(err)
	}
	defer made.Remove()

	made.Service.RegisterEndpoints = true
	made.Service.Listen = &url.URL{Host: "127.0.0.1:0", User: url.UserPassword(given.user, given.password)}
	made.Service.TLS = new(tls.Config)
	if given.keyPair != "" {
		pair, err := tls.LoadX509KeyPair(given.keyPair, given.keyPair)
		if err != nil {
			log.Fatal(err)
		}
		made.Service.TLS.Certificates = []tls.Certificate{pair}
	}
	server := made.Service.NewServer()
	defer server.Close()

	block := pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}
	line, err := json.Marshal(map[string]string{
		"port":        server.URL.Port(),
		"certificate": string(pem.EncodeToMemory(&block)),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(line))
	io.Copy(io.Discard, os.Stdin)
}
