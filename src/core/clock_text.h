// How long something takes, for people to read.
#pragma once

#include <string>

namespace sam2unet {

/// "0:07", "12:30", "2:05:00": whole seconds, of which a begun one counts; at most 1e8 of them, and none of a
/// number that is none.
std::string clock_text(double seconds);

}  // namespace sam2unet
