// What the program knows of itself: its version, its help, what shells and man are told.
#include <nlohmann/json.hpp>

#include "predict_fixture.h"

namespace sam2unet::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class Describe : public PredictTest {
 protected:
  std::string out(const std::vector<std::string>& arguments) {
    const Finished r = predict_plain(arguments);
    EXPECT_EQ(r.exit_code, 0) << r.err;
    EXPECT_EQ(r.err, "");
    return r.out;
  }
  // What bash offers for the words, of which the last is being written.
  std::string offered(const std::string& words, int at) {
    put("complete.bash", out({"completion", "bash"}));
    const Finished r =
        run("/bin/bash",
            {"-c", "source complete.bash; COMP_WORDS=(" + words + "); COMP_CWORD=" + std::to_string(at) +
                       "; _sam2unet; echo \"${COMPREPLY[*]}\""},
            {.folder = dir.path()});
    EXPECT_EQ(r.err, "");
    return r.out;
  }
};

TEST_F(Describe, TheVersionIsThatOfTheLibrary) {
  const auto info = nlohmann::json::parse(out({"info", "--json"}));
  const std::string version = info.at("version");
  EXPECT_EQ(out({"--version"}), "sam2unet " + version + "\n");
  EXPECT_THAT(out({"info"}), StartsWith("version     " + version +
                                        "\ncpu         this processor, by the "
                                        "library's own kernels: f32, bf16, int8\n"));
  EXPECT_THAT(out({"man"}),
              StartsWith(".TH SAM2UNET 1 \"\" \"sam2unet " + version + "\" \"User Commands\"\n"));
}

TEST_F(Describe, HelpNamesTheCommandsAndTheExitCodes) {
  const std::string help = out({"--help"});
  for (const char* command : {"predict", "info", "models", "convert", "export", "eval", "doctor", "verify",
                              "train", "report", "reproduce", "bench", "serve", "completion", "man"})
    EXPECT_THAT(help, testing::ContainsRegex(std::string("\n  ") + command + " ")) << command;
  EXPECT_THAT(help, HasSubstr("Exit code: 0 ok, 1 failed, 2 wrong usage."));
}

TEST_F(Describe, HelpOfEachCommandEndsWithExamples) {
  for (const std::string command : {"predict", "info", "models", "convert", "export", "eval", "doctor",
                                    "verify", "report", "reproduce", "bench", "serve"})
    EXPECT_THAT(out({command, "--help"}),
                testing::ContainsRegex("Examples?:[^:]* sam2unet " + command + " "));
}

TEST_F(Describe, BashCompletesCommandsOptionsAndFiles) {
  EXPECT_EQ(offered("sam2unet pre", 1), "predict\n");
  EXPECT_EQ(offered("sam2unet --ver", 1), "--version\n");
  EXPECT_EQ(offered("sam2unet predict --thr", 2), "--threshold --threads\n");
  EXPECT_EQ(offered("sam2unet eval --thr", 2), "--threads\n");
  EXPECT_EQ(offered("sam2unet eval --pred gt --worst-", 4), "--worst-by\n");
  EXPECT_EQ(offered("sam2unet predict -o", 2), "-o\n");
  EXPECT_EQ(offered("sam2unet predict tin", 2), "tiny.safetensors\n");
  EXPECT_THAT(out({"completion", "bash"}),
              testing::EndsWith("\ncomplete -o filenames -F _sam2unet sam2unet\n"));
}

// In single quotes, where one inside ends them, stands for itself and begins them again.
TEST_F(Describe, ZshAndFishHaveTheDescriptions) {
  const std::string zsh = out({"completion", "zsh"}), fish = out({"completion", "fish"});
  EXPECT_THAT(zsh,
              AllOf(StartsWith("#compdef sam2unet\n"), HasSubstr("\n      'predict:Segment pictures'\n"),
                    HasSubstr("'reproduce:Predict and score the papers'\\'' test sets, and compare with "
                              "the papers'\n"),
                    HasSubstr("\n    info) [[ \"$PREFIX\" == -* ]] && compadd -- -h --help --json --tensors "
                              "--try || _files ;;\n")));
  EXPECT_THAT(
      fish,
      AllOf(StartsWith("complete -c sam2unet -n __fish_use_subcommand -f -a predict -d 'Segment pictures'\n"),
            HasSubstr("\ncomplete -c sam2unet -n '__fish_seen_subcommand_from info' -l json -d "
                      "'everything, as JSON'\n"),
            HasSubstr("\ncomplete -c sam2unet -n '__fish_seen_subcommand_from predict' -s o -l output -d "
                      "'folder for the results"),
            HasSubstr("the picture'\\''s longer side")));
  // What has no option's name is not one.
  EXPECT_THAT(fish, Not(HasSubstr("_from predict' -d")));
  EXPECT_EQ(predict_plain({"completion", "tcsh"}).exit_code, 2);
  EXPECT_EQ(predict_plain({"completion"}).exit_code, 2);
}

TEST_F(Describe, ThePageHasEachOptionWithItsValueAndDefault) {
  const std::string man = out({"man"});
  EXPECT_THAT(man, HasSubstr("polyp pictures.\n.SH SYNOPSIS\n.B sam2unet\n.I COMMAND\n[\\fIOPTION\\fR ...] "
                             "[\\fIARGUMENT\\fR ...]\n.SH COMMANDS\n.SS predict\n"));
  for (const char* part :
       {"\n.SH NAME\nsam2unet \\- SAM2\\-UNet: segments camouflaged", "\n.SS predict\nSegment pictures\n",
        "\n.TP\n\\fB\\-o,\\-\\-output\\fR\\fI DIR|FILE.png|FILE.tar\\fR\nfolder for the results",
        "\n.TP\n\\fB\\-v,\\-\\-verbose\\fR\\fI\\fR\ntell of each picture",
        "\n.TP\n\\fBINPUT\\fR\\fI\\fR\npictures, folders",
        "from which on a pixel belongs to the mask (default 0.5)\n",
        "shares with its neighbour (default 0.25)\n",
        "\n.PP\n.nf\nExamples:\n  sam2unet predict photos/ \\-o out ",
        "\n.fi\n.SH EXIT STATUS\n0 on success, 1 if something failed, 2 on wrong usage.\n"})
    EXPECT_THAT(man, HasSubstr(part));
}

TEST_F(Describe, WrongUseNamesTheHelpThatHelps) {
  const auto says = [&](const std::vector<std::string>& arguments, const std::string& line) {
    const Finished r = predict_plain(arguments);
    EXPECT_EQ(r.exit_code, 2);
    EXPECT_EQ(r.out, "");
    EXPECT_EQ(r.err, "sam2unet: " + line + "\n");
  };
  says({}, "a command is required (see `sam2unet --help`)");
  says({"nothing"}, "unknown command 'nothing' (see `sam2unet --help`)");
  says({"-x"}, "unknown option '-x' (see `sam2unet --help`)");
  says({"completion"}, "SHELL is required (see `sam2unet completion --help`)");
  // A mistyped option is told before the input that is missing as well.
  says({"predict", "--no-such"},
       "The following argument was not expected: --no-such (see `sam2unet predict --help`)");
}

// One line, whatever the name.
TEST_F(Describe, AnErrorIsOneLine) {
  const Finished r = predict({"no\nsuch\r.png", "-o", "out"});
  EXPECT_EQ(r.exit_code, 1);
  EXPECT_EQ(r.err, "sam2unet: cannot open no such .png: no such file or folder\n");
}

}  // namespace
}  // namespace sam2unet::test
