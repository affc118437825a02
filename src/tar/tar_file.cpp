#include "tar/tar_file.h"

namespace sam2unet::tar {

TarFile::TarFile(const std::filesystem::path& path)
    : file_(path), members_(read_tar(file_.bytes(), path.string())) {}

}  // namespace sam2unet::tar
