"""Files over REST. Up: ``files`` → ``receiving`` → ``file_store`` → ``objects``. Down: ``downloads`` → ``file_store`` → ``objects``.

``files``       upload tickets and uploads
``receiving``   a form as it comes, onto the disk
``file_store``  the files of all users: room, limits, what is too old
``objects``     where bytes are kept: a directory or a bucket
``file_signs``  the sign in an address that lets its bearer up- or download
``downloads``   files, pictures in other sizes, ranges
``media``       what a file is, by its first bytes; other sizes
"""
