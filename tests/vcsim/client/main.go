// SPDX-License-Identifier: Apache-2.0

// A client made of govmomi, as Debian packages it, that logs in, lists, waits, exports and downloads: the tests set it
// on the stand-in for vSphere, which shares none of its code. It prints one JSON document; the pin is a SHA-1 thumbprint.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"log"
	"net/url"
	"os"
	"path/filepath"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/vapi/rest"
	"github.com/vmware/govmomi/vapi/tags"
	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

type machine struct {
	ID, Name, Power, UUID string
	Devices               int
	Tags                  []string
}

type told struct {
	Product   string
	Machines  []machine
	Path      string
	Disks     []string
	Snapshot  string
	Changed   []types.DiskChangeExtent
	Downloads map[string]string
}

func check(err error) {
	if err != nil {
		log.Fatalf("%T: %v", err, err)
	}
}

func main() {
	address := flag.String("url", "", "https://user:password@host:port/sdk")
	thumbprint := flag.String("thumbprint", "", "SHA-1 thumbprint of the server")
	path := flag.String("machine", "", "inventory path of a machine to export")
	folder := flag.String("folder", "", "where to put what is downloaded")
	flag.Parse()
	ctx := context.Background()

	where, err := soap.ParseURL(*address)
	check(err)
	plain := soap.NewClient(where, false)
	plain.SetThumbprint(where.Host, *thumbprint)
	client, err := vim25.NewClient(ctx, plain)
	check(err)
	logins := session.NewManager(client)
	check(logins.Login(ctx, where.User))
	defer func() { check(logins.Logout(ctx)) }()

	found := told{Product: client.ServiceContent.About.FullName, Downloads: map[string]string{}}
	found.Machines = list(ctx, client, where.User)
	if *path != "" {
		export(ctx, client, *path, *folder, &found)
	}
	check(json.NewEncoder(os.Stdout).Encode(found))
}

func list(ctx context.Context, client *vim25.Client, user *url.Userinfo) []machine {
	made, err := view.NewManager(client).CreateContainerView(
		ctx, client.ServiceContent.RootFolder, []string{"VirtualMachine"}, true)
	check(err)
	var machines []mo.VirtualMachine
	wanted := []string{"name", "config", "runtime", "guest", "summary", "snapshot"}
	check(made.Retrieve(ctx, []string{"VirtualMachine"}, wanted, &machines))
	names := map[string][]string{}
	if client.IsVC() {
		remote := rest.NewClient(client)
		check(remote.Login(ctx, user))
		var refs []mo.Reference
		for _, each := range machines {
			refs = append(refs, each.Reference())
		}
		attached, err := tags.NewManager(remote).GetAttachedTagsOnObjects(ctx, refs)
		check(err)
		for _, each := range attached {
			for _, tag := range each.Tags {
				id := each.ObjectID.Reference().Value
				names[id] = append(names[id], tag.Name)
			}
		}
		check(remote.Logout(ctx))
	}
	var listed []machine
	for _, each := range machines {
		listed = append(listed, machine{
			ID: each.Self.Value, Name: each.Name, Power: string(each.Runtime.PowerState), UUID: each.Config.Uuid,
			Devices: len(each.Config.Hardware.Device), Tags: names[each.Self.Value],
		})
	}
	return listed
}

func export(ctx context.Context, client *vim25.Client, path, folder string, found *told) {
	vm, err := find.NewFinder(client, false).VirtualMachine(ctx, path)
	check(err)
	found.Path = vm.InventoryPath
	devices, err := vm.Device(ctx)
	check(err)
	disks := devices.SelectByType((*types.VirtualDisk)(nil))
	for _, each := range disks {
		found.Disks = append(found.Disks, devices.Name(each))
	}

	task, err := vm.CreateSnapshot(ctx, "go", "", false, false)
	check(err)
	info, err := task.WaitForResult(ctx, nil)
	check(err)
	snapshot := info.Result.(types.ManagedObjectReference)
	found.Snapshot = snapshot.Value
	changed, err := methods.QueryChangedDiskAreas(ctx, client, &types.QueryChangedDiskAreas{
		This: vm.Reference(), Snapshot: &snapshot, DeviceKey: disks[0].GetVirtualDevice().Key, ChangeId: "*",
	})
	check(err)
	found.Changed = changed.Returnval.ChangedArea
	task, err = vm.RemoveSnapshot(ctx, "go", false, types.NewBool(true))
	check(err)
	check(task.Wait(ctx))

	lease, err := vm.Export(ctx)
	check(err)
	leased, err := lease.Wait(ctx, nil)
	check(err)
	updater := lease.StartUpdater(ctx, leased)
	for _, item := range leased.Items {
		target := filepath.Join(folder, filepath.Base(item.Path))
		check(lease.DownloadFile(ctx, target, item, soap.DefaultDownload))
		found.Downloads[item.Path] = target
	}
	updater.Done()
	check(lease.Complete(ctx))
	descriptor(ctx, client, vm, folder, found)
}

func descriptor(ctx context.Context, client *vim25.Client, vm *object.VirtualMachine, folder string, found *told) {
	var seen mo.VirtualMachine
	check(vm.Properties(ctx, vm.Reference(), []string{"config.files"}, &seen))
	var at object.DatastorePath
	at.FromString(seen.Config.Files.VmPathName)
	finder := find.NewFinder(client, false)
	home, err := finder.DatacenterOrDefault(ctx, "")
	if err != nil {
		return // several datacenters: the path of the machine says which, and the tests ask for one
	}
	finder.SetDatacenter(home)
	store, err := finder.Datastore(ctx, at.Datastore)
	check(err)
	body, _, err := store.Download(ctx, at.Path, &soap.DefaultDownload)
	check(err)
	defer body.Close()
	target := filepath.Join(folder, filepath.Base(at.Path))
	made, err := os.Create(target)
	check(err)
	_, err = io.Copy(made, body)
	check(err)
	check(made.Close())
	found.Downloads[at.Path] = target
}
