from facestream.commands.app import main

main()
