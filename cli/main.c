/* main: pocketcdn: the one command a person types. Everything is in the library beside it, which
 * the tests link too; here the process is set up. */
#include "cli/command.h"
#include "common/process.h"

#include "common/banned.h"

int main(int argc, char **argv)
{
    cdn_process_init();
    return cli_command_run(argc - 1, argv + 1);
}
