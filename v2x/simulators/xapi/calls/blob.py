# SPDX-License-Identifier: Apache-2.0
"""blob: small files that hang on an object (xapi: xapi_blob.ml). Their content goes over HTTP, which is not served."""

from v2x.simulators.xapi.state import Context, call

_OWNERS = ("pool", "VM", "host", "network", "SR")


def _make(context: Context, name: str, mime_type: str, *, public: bool) -> str:
    kind = mime_type or "application/octet-stream"
    values = {"name_label": name, "mime_type": kind, "public": public, "last_updated": context.state.now()}
    return context.store.add("blob", values)


@call("blob.create")
def create(context: Context, mime_type: str, public: bool) -> str:
    return _make(context, "", mime_type, public=public)


@call("blob.destroy")
def destroy(context: Context, blob: str) -> None:
    store = context.store
    store.remove("blob", blob)
    for cls in _OWNERS:
        for ref in store.refs(cls):
            held = store.get(cls, ref, "blobs")
            if blob in held.values():
                store.set(cls, ref, blobs={name: one for name, one in held.items() if one != blob})


def _hang(cls: str) -> None:
    @call(f"{cls}.create_new_blob")
    def create_new(context: Context, owner: str, name: str, mime_type: str, public: bool) -> str:
        held = context.store.get(cls, owner, "blobs")
        blob = _make(context, name, mime_type, public=public)
        context.store.set(cls, owner, blobs=held | {name: blob})
        return blob


for _cls in _OWNERS:
    _hang(_cls)
