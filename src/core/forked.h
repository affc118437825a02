// Children of fork() have one thread: what their parent's pools held is not there.
#pragma once

namespace sam2unet {

/// Whether this process is a child of fork() made since the library was loaded, and has started no other
/// program. It takes one thread: OpenMP would wait for threads that only its parent has.
bool forked();

}  // namespace sam2unet
