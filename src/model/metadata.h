// Keys of the metadata that weights of ours carry beside their tensors.
#pragma once

namespace sam2unet::model {

inline constexpr const char* kClassesKey = "classes";        ///< to_json(ClassTable), where there are several
inline constexpr const char* kFitKey = "fit";                ///< name_of(Fit), where it is not "squash"
inline constexpr const char* kGatesKey = "precision_gates";  ///< PrecisionGates::to_json (gates.h)

}  // namespace sam2unet::model
